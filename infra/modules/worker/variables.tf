variable "catalog" {
  description = "Secrets of the catalog: `url_secret` holds the worker's URL, `ca_secret` the certificate of the server's authority."
  type = object({
    ca_secret  = string
    url_secret = string
  })
}

variable "command" {
  description = "What the job runs, as a list: [\"lavra\", \"ingest\", \"run\"]."
  type        = list(string)

  validation {
    condition     = length(var.command) > 0 && alltrue([for word in var.command : word != ""])
    error_message = "command is a list of words, none of them empty: [\"lavra\", \"ingest\", \"run\"]."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the job."
  type        = bool
  default     = false
}

variable "image" {
  description = "The job image, by digest."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is named by its digest (.../job@sha256:...): what was tested is what runs, and a rollback returns to it."
  }
}

variable "labels" {
  description = "Labels of the job."
  type        = map(string)
  default     = {}
}

variable "lake_url" {
  description = "Where the lake's files are: output `lake_url` of module lake."
  type        = string

  validation {
    condition     = startswith(var.lake_url, "gs://")
    error_message = "lake_url starts with gs://."
  }
}

variable "max_retries" {
  description = "How often a failed execution is started again at once. 0: the next scheduled one is the retry."
  type        = number
  default     = 1

  validation {
    condition     = var.max_retries >= 0 && var.max_retries <= 10
    error_message = "max_retries is from 0 to 10."
  }
}

variable "name" {
  description = "Name of the Cloud Run job, and of its schedule."
  type        = string
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the job; that of the lake."
  type        = string
}

variable "resources" {
  description = <<-EOT
    What an execution has.

    - `cpu`: cores.
    - `memory_gib`: memory in all, the scratch space's included, in GiB.
    - `scratch_gib`: memory for temporary files, in GiB.
  EOT
  type = object({
    cpu         = optional(number, 2)
    memory_gib  = optional(number, 4)
    scratch_gib = optional(number, 1)
  })
  default = {}

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.resources.cpu)
    error_message = "resources.cpu is 1, 2, 4, 6 or 8: Cloud Run knows no other sizes."
  }

  validation {
    condition     = var.resources.memory_gib >= 1 && var.resources.memory_gib <= lookup({ 1 = 4, 2 = 8, 4 = 16, 6 = 24, 8 = 32 }, var.resources.cpu, 32)
    error_message = "resources.memory_gib is at least 1, and Cloud Run asks for 2 cores above 4 GiB, 4 above 8, 6 above 16, 8 above 24."
  }

  validation {
    condition     = var.resources.scratch_gib <= var.resources.memory_gib - 1
    error_message = "resources.scratch_gib leaves at least 1 GiB of resources.memory_gib for the work: scratch space is memory too."
  }
}

variable "schedule" {
  description = <<-EOT
    When the job is started. Null: only by hand or by a workflow.

    - `cron`: five fields, as cron takes them.
    - `paused`: whether the schedule rests.
    - `region`: of Cloud Scheduler, where it is not offered in the job's own.
    - `service_account`: address of the account that starts it.
    - `time_zone`: IANA name of the zone of `cron`; the lake's business time zone.
  EOT
  type = object({
    cron            = string
    paused          = optional(bool, false)
    region          = optional(string)
    service_account = string
    time_zone       = optional(string, "Etc/UTC")
  })
  default = null

  validation {
    condition     = var.schedule == null || can(regex("^(\\S+ ){4}\\S+$", var.schedule.cron))
    error_message = "schedule.cron has five fields, separated by single spaces: \"15 * * * *\" is a quarter past each hour."
  }
}

variable "secrets" {
  description = "What the connections in airbyte/ refer to and is a secret, such as a password: name of the variable => name of the secret. The job's account must be allowed to read it."
  type        = map(string)
  default     = {}

  validation {
    condition     = !contains(keys(var.secrets), "LAVRA_CATALOG_URL")
    error_message = "secrets may not hold LAVRA_CATALOG_URL: it comes from catalog.url_secret."
  }
}

variable "service_account" {
  description = "Address of the account that the job runs as."
  type        = string
}

variable "settings" {
  description = "Further settings of Lavra (docs/settings.md): LAVRA_<NAME> => value. Not for secrets."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^LAVRA_[A-Z_]+$", name))])
    error_message = "settings are named LAVRA_<NAME>, as docs/settings.md lists them."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), ["LAVRA_CATALOG_URL", "LAVRA_LAKE_URL", "LAVRA_STATE_DIR"])) == 0
    error_message = "settings may not hold what the module sets itself: LAVRA_CATALOG_URL (a secret), LAVRA_LAKE_URL, LAVRA_STATE_DIR."
  }
}

variable "sources" {
  description = "What the connections in airbyte/ refer to and is no secret, such as a host: name => value."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.sources) : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !startswith(name, "LAVRA_")])
    error_message = "sources are named as the connections refer to them, in capitals: SHOP_HOST. What starts with LAVRA_ belongs in settings."
  }
}

variable "starters" {
  description = "Who else may start the job: name => member, such as serviceAccount:... or group:..."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.starters) : can(regex("^(serviceAccount|group|user|domain|principalSet|principal):", member))])
    error_message = "starters are members such as group:engineers@example.com. allUsers and allAuthenticatedUsers are refused."
  }
}

variable "timeout_s" {
  description = "Longest time of an execution, in seconds."
  type        = number
  default     = 3600

  validation {
    condition     = var.timeout_s >= 60 && var.timeout_s <= 86400
    error_message = "timeout_s is from 60 to 86400 (a day)."
  }
}

variable "vpc" {
  description = "Network that leads to the catalog: output `vpc` of module network."
  type = object({
    network    = string
    subnetwork = string
  })
}
