variable "callers" {
  description = "Who may call the generator, beside knowing its token: name => member, such as user:... or group:..."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.callers) : can(regex("^(serviceAccount|group|user|domain|principalSet|principal):", member))])
    error_message = "callers are members such as group:engineers@example.com. allUsers and allAuthenticatedUsers are refused."
  }
}

variable "database" {
  description = "Name of the database, and start of its roles' names."
  type        = string
  default     = "fleet"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,40}$", var.database))
    error_message = "database is a plain name of small letters, digits and underscores: fleet."
  }
}

variable "database_version" {
  description = "Postgres version of the instance."
  type        = string
  default     = "POSTGRES_17"

  validation {
    condition     = can(regex("^POSTGRES_1[6-9]$", var.database_version))
    error_message = "database_version is POSTGRES_16 or later: Lavra is tested on 16 and 18."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform and Google refuse to delete the instance."
  type        = bool
  default     = true
}

variable "disk" {
  description = "The disk, in GB: `initial_gb` at first, growing by itself to `max_gb`."
  type = object({
    initial_gb = optional(number, 10)
    max_gb     = optional(number, 50)
  })
  default = {}

  validation {
    condition     = var.disk.initial_gb >= 10 && var.disk.max_gb >= var.disk.initial_gb
    error_message = "disk.initial_gb is at least 10, and disk.max_gb no less than that."
  }

  validation {
    condition     = var.disk.max_gb * 1024 >= 2 * var.slot_keeps_mb
    error_message = "disk.max_gb is at least twice slot_keeps_mb: what a slot may keep must leave room for the data."
  }
}

variable "flags" {
  description = "Further database flags: name => value."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.flags), ["cloudsql.logical_decoding", "max_slot_wal_keep_size"])) == 0
    error_message = "flags may not hold cloudsql.logical_decoding, without which there are no changes to follow, nor max_slot_wal_keep_size: that is slot_keeps_mb."
  }
}

variable "followers" {
  description = "Accounts that follow the changes: name => address. The worker's."
  type        = map(string)
  default     = {}
}

variable "image" {
  description = "The job image, by digest, which runs the generator. Null: the database alone."
  type        = string
  default     = null

  validation {
    condition     = var.image == null || can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is named by its digest (.../job@sha256:...): what was tested is what runs, and a rollback returns to it."
  }
}

variable "kms_key" {
  description = "Cloud KMS key of the instance. Null: Google's own keys."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of all that takes labels."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "Name of the instance, and start of the other names."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,24}[a-z0-9]$", var.name))
    error_message = "name has 3 to 26 small letters, digits and dashes, and starts with a letter (an account's name has 30 at most): lavra-dev-fleet."
  }
}

variable "network_id" {
  description = "Network in which the instance gets its private address: output `network_id` of module network."
  type        = string
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "rate" {
  description = "Maintenance events that the generator records by itself each second. Above 0 an instance runs always."
  type        = number
  default     = 0

  validation {
    condition     = var.rate >= 0 && var.rate <= 100
    error_message = "rate is from 0 to 100 events a second."
  }
}

variable "region" {
  description = "Region of the instance and the generator; that of the lake."
  type        = string
}

variable "slot_keeps_mb" {
  description = "Log, in MB, that a slot which nobody reads may keep before Postgres gives it up."
  type        = number
  default     = 8192

  validation {
    condition     = var.slot_keeps_mb >= 512
    error_message = "slot_keeps_mb is at least 512: less is lost in an hour without the worker."
  }
}

variable "tier" {
  description = "Machine of the instance: db-f1-micro and db-g1-small share a core, db-custom-<cores>-<MB> does not."
  type        = string
  default     = "db-f1-micro"

  validation {
    condition     = can(regex("^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+)$", var.tier))
    error_message = "tier is db-f1-micro, db-g1-small or db-custom-<cores>-<MB>, such as db-custom-2-7680."
  }
}

variable "variables" {
  description = "Start of the variables by which the stream in airbyte/streams refers to this source: AVIATION means AVIATION_HOST, and so on."
  type        = string
  default     = "AVIATION"

  validation {
    condition     = can(regex("^[A-Z][A-Z0-9_]*[A-Z0-9]$", var.variables)) && var.variables != "LAVRA"
    error_message = "variables is in capitals, as the stream's file has it before _HOST: AVIATION."
  }
}

variable "vpc" {
  description = "Network that leads to the instance: output `vpc` of module network."
  type = object({
    network    = string
    subnetwork = string
  })
}
