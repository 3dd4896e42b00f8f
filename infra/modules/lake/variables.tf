variable "access_log_bucket" {
  description = "Name of a bucket that receives usage logs of this one. Null: none (Cloud Audit Logs are the usual way)."
  type        = string
  default     = null
}

variable "bronze_nearline_after_days" {
  description = "Age in days at which landed files move to Nearline storage. Null: never."
  type        = number
  default     = null

  validation {
    condition     = var.bronze_nearline_after_days == null || try(var.bronze_nearline_after_days >= 30, false)
    error_message = "bronze_nearline_after_days is at least 30, or null: younger files are still read, and Nearline bills 30 days in any case."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with all that is in it."
  type        = bool
  default     = false
}

variable "kms_key" {
  description = "Cloud KMS key (projects/.../cryptoKeys/...) that encrypts new objects. Null: Google's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key is the key's full name: projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

variable "labels" {
  description = "Labels of the bucket."
  type        = map(string)
  default     = {}
}

variable "location" {
  description = "Region of the bucket; the region of what reads it, or reading costs egress."
  type        = string
}

variable "name" {
  description = "Name of the bucket, unique in all of Google Cloud."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name)) && !strcontains(var.name, "google") && !startswith(var.name, "goog")
    error_message = "name takes 3 to 63 small letters, digits and dashes, and may not speak of google: acme-lavra-dev-lake."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "readers" {
  description = "Service accounts that read the lake: part => e-mail address."
  type        = map(string)
  default     = {}
}

variable "recovery_days" {
  description = "For how many days a deleted or overwritten file can be had back. The catalog's point-in-time recovery covers the same days, so that both can be restored together."
  type        = number
  default     = 7

  validation {
    condition     = var.recovery_days >= 7 && var.recovery_days <= 90 && floor(var.recovery_days) == var.recovery_days
    error_message = "recovery_days is a whole number from 7 to 90: Cloud Storage's soft delete takes no less and no more."
  }
}

variable "writers" {
  description = "Service accounts that read and write the lake: part => e-mail address."
  type        = map(string)
  default     = {}
}
