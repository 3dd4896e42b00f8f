variable "delete_after_days" {
  description = "Age in days after which an image is deleted, unless it is among the recent ones."
  type        = number
  default     = 90

  validation {
    condition     = var.delete_after_days >= 7
    error_message = "delete_after_days is at least 7: an image in use must not vanish under a running service."
  }
}

variable "keep_versions" {
  description = "How many recent versions of each image are always kept, to roll back to."
  type        = number
  default     = 20

  validation {
    condition     = var.keep_versions >= 2
    error_message = "keep_versions is at least 2: the image in use, and one to roll back to."
  }
}

variable "kms_key" {
  description = "Cloud KMS key that encrypts the images. Null: Google's own keys."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the repository."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "Name of the repository."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,61}[a-z0-9]$", var.name))
    error_message = "name takes small letters, digits and dashes, and starts with a letter: lavra-dev."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the repository; that of Cloud Run, or each start pulls from afar."
  type        = string
}

variable "vulnerability_scanning" {
  description = "Whether pushed images are scanned, if the project has the scanning API on (it bills per image)."
  type        = bool
  default     = true
}

variable "writers" {
  description = "Service accounts that push images: name => e-mail address. Cloud Run pulls as its own service agent, which may read all repositories of its project."
  type        = map(string)
  default     = {}
}
