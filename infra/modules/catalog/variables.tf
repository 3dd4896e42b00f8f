variable "backup" {
  description = <<-EOT
    Backups of the catalog.

    - `recovery_days`: how far back point-in-time recovery reaches; the lake's bucket keeps deleted files as long.
    - `retained`: how many daily backups are kept.
    - `start_time`: when the daily backup starts, UTC.
  EOT
  type = object({
    recovery_days = optional(number, 7)
    retained      = optional(number, 14)
    start_time    = optional(string, "05:00")
  })
  default = {}

  validation {
    condition     = var.backup.recovery_days >= 1 && var.backup.recovery_days <= 7
    error_message = "backup.recovery_days is from 1 to 7: Cloud SQL's Enterprise edition keeps no more transaction logs."
  }

  validation {
    condition     = var.backup.retained >= var.backup.recovery_days
    error_message = "backup.retained is at least backup.recovery_days: recovery starts from a backup and replays from there."
  }

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):00$", var.backup.start_time))
    error_message = "backup.start_time is a full hour, UTC, such as 05:00."
  }
}

variable "database_version" {
  description = "Version of Postgres."
  type        = string
  default     = "POSTGRES_17"

  validation {
    condition     = can(regex("^POSTGRES_1[6-9]$", var.database_version))
    error_message = "database_version is POSTGRES_16 or later: Lavra is tested on 18, and SQL of older versions is not looked after."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform and Google refuse to delete the instance."
  type        = bool
  default     = true
}

variable "disk" {
  description = "Size of the disk in GB: at first, and how far it may grow by itself (it never shrinks)."
  type = object({
    initial_gb = optional(number, 10)
    max_gb     = optional(number, 100)
  })
  default = {}

  validation {
    condition     = var.disk.initial_gb >= 10 && var.disk.max_gb >= var.disk.initial_gb
    error_message = "disk.initial_gb is at least 10, and disk.max_gb no less than that. A catalog needs about 1 GB per million data files."
  }
}

variable "flags" {
  description = "Further flags of the database, or other values of those that the module sets."
  type        = map(string)
  default     = {}
}

variable "high_availability" {
  description = "Whether a second zone stands by. It doubles the price."
  type        = bool
  default     = false
}

variable "kms_key" {
  description = "Cloud KMS key that encrypts the disk and the backups. Null: Google's own keys."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the instance and its secrets."
  type        = map(string)
  default     = {}
}

variable "maintenance" {
  description = "When Google may restart the instance: `day` from 1 (Monday) to 7, `hour_utc` from 0 to 23."
  type = object({
    day      = optional(number, 7)
    hour_utc = optional(number, 6)
  })
  default = {}

  validation {
    condition     = var.maintenance.day >= 1 && var.maintenance.day <= 7 && var.maintenance.hour_utc >= 0 && var.maintenance.hour_utc <= 23
    error_message = "maintenance.day is from 1 (Monday) to 7 (Sunday), maintenance.hour_utc from 0 to 23."
  }
}

variable "name" {
  description = "Name of the instance, and start of its secrets' names. Google holds back a deleted instance's name for a week."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,60}[a-z0-9]$", var.name))
    error_message = "name takes small letters, digits and dashes, and starts with a letter: lavra-dev-catalog."
  }
}

variable "network_id" {
  description = "The network that the private address is in: output `network_id` of module network."
  type        = string
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the instance; that of Cloud Run."
  type        = string
}

variable "service_accounts" {
  description = "Accounts of the parts that use the catalog; each may read its own URL alone."
  type = object({
    service  = string
    superset = string
    worker   = string
  })
}

variable "tier" {
  description = "Machine of the instance: db-f1-micro and db-g1-small share a core, db-custom-<cores>-<MB> does not."
  type        = string
  default     = "db-g1-small"

  validation {
    condition     = can(regex("^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+)$", var.tier))
    error_message = "tier is db-f1-micro, db-g1-small or db-custom-<cores>-<MB>, such as db-custom-2-7680."
  }
}
