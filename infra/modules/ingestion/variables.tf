variable "airbyte" {
  description = "The Airbyte: `url` of its API, `workspace_id`, and `client_id` of the application by which `lavra ingest` drives it."
  type = object({
    client_id    = string
    url          = optional(string, "https://api.airbyte.com/v1")
    workspace_id = string
  })

  validation {
    condition     = startswith(var.airbyte.url, "https://")
    error_message = "airbyte.url starts with https://: the application's secret goes there."
  }
}

variable "bucket" {
  description = "The lake's bucket: output `bucket` of module lake."
  type        = string
}

variable "drivers" {
  description = "Accounts that drive Airbyte: name => address. The worker's."
  type        = map(string)
  default     = {}
}

variable "labels" {
  description = "Labels of the secrets."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "Start of the names."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name))
    error_message = "name has 3 to 22 small letters, digits and dashes, and starts with a letter (an account's name has 30 at most): lavra-dev."
  }
}

variable "prefix" {
  description = "Where Airbyte writes in the bucket."
  type        = string
  default     = "bronze/"

  validation {
    condition     = can(regex("^[a-z0-9_-]+/([a-z0-9_-]+/)*$", var.prefix)) && !startswith(var.prefix, "ducklake/")
    error_message = "prefix is a folder that ends with a slash, such as bronze/, and never the models' own ducklake/."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the secrets; that of the lake."
  type        = string
}
