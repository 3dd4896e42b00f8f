variable "environment" {
  description = "The SQLMesh environment whose releases are exported."
  type        = string
  default     = "prod"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]*$", var.environment))
    error_message = "environment is a SQLMesh environment's name: prod."
  }
}

variable "kms_key" {
  description = "Cloud KMS key of the datasets. Null: Google's own keys."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of datasets and tables."
  type        = map(string)
  default     = {}
}

variable "lake_url" {
  description = "Where the lake's files are: output `lake_url` of module lake."
  type        = string

  validation {
    condition     = startswith(var.lake_url, "gs://") && !endswith(var.lake_url, "/")
    error_message = "lake_url starts with gs:// and does not end with a slash."
  }
}

variable "location" {
  description = "Where the datasets are; the bucket's region, or one that contains it."
  type        = string
}

variable "name" {
  description = "Start of the datasets' names, whose dashes become underscores."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name has small letters, digits and dashes, and starts with a letter: lavra-dev."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "readers" {
  description = "Who may read the tables: name => member, such as group:analysts@example.com. To run queries they need roles/bigquery.jobUser on a project, too."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.readers) : can(regex("^(serviceAccount|group|user|domain|principalSet|principal):", member))])
    error_message = "readers are members such as group:analysts@example.com. allUsers and allAuthenticatedUsers are refused: the lake is not public."
  }
}

variable "tables" {
  description = "The tables, as schema.table: of those that `lavra release export` does not leave out. Export once before they are named here."
  type        = set(string)

  validation {
    condition     = length(var.tables) > 0 && alltrue([for table in var.tables : can(regex("^gold_[a-z0-9_]+\\.[a-z][a-z0-9_]*$", table))])
    error_message = "tables are tables of Gold, such as gold_commerce.daily_revenue: nothing else is released."
  }
}
