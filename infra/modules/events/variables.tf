variable "bucket" {
  description = "The lake's bucket: output `bucket` of module lake."
  type        = string
}

variable "job" {
  description = "The Cloud Run job to start when something has landed: output `job` of module worker."
  type        = string
}

variable "labels" {
  description = "Labels of topic, trigger and workflow."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "Start of the names."
  type        = string
}

variable "patience" {
  description = "How often, 30 s apart, a running execution is looked at before another is started beside it: the catalog's lock puts them in turn."
  type        = number
  default     = 60

  validation {
    condition     = var.patience >= 1 && var.patience <= 1000
    error_message = "patience is from 1 to 1000 looks, 30 s apart."
  }
}

variable "prefix" {
  description = "Where files land: only what begins with it is told."
  type        = string
  default     = "bronze/"

  validation {
    condition     = can(regex("^[a-z0-9_-]+/", var.prefix)) && !startswith(var.prefix, "ducklake/")
    error_message = "prefix is a folder of the lake such as bronze/. What the models write themselves (ducklake/) would start them again and again."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "project_number" {
  description = "The project's number, of which Cloud Storage's account is named."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number is a number: gcloud projects describe PROJECT --format='value(projectNumber)'"
  }
}

variable "region" {
  description = "Region of topic, trigger and workflow; that of the job."
  type        = string
}

variable "service_account" {
  description = "Address of the account that the trigger and the workflow run as."
  type        = string
}

variable "settle_s" {
  description = "Seconds to wait after a file has landed, for the rest of what lands with it."
  type        = number
  default     = 20

  validation {
    condition     = var.settle_s >= 0 && var.settle_s <= 600
    error_message = "settle_s is from 0 to 600."
  }
}
