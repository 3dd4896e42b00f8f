variable "catalog" {
  description = "Secrets of the catalog: `url_secret` holds the worker's URL, `ca_secret` the certificate of the server's authority."
  type = object({
    ca_secret  = string
    url_secret = string
  })
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the pool."
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
  description = "Labels of the pool."
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

variable "name" {
  description = "Name of the worker pool."
  type        = string
}

variable "parts" {
  description = "Parts of `lavra worker` that run here: streams, models, ingest. Connections are landed by a job of their own unless `ingest` is among them."
  type        = set(string)
  default     = ["models", "streams"]

  validation {
    condition     = contains(var.parts, "streams") && length(setsubtract(var.parts, ["ingest", "models", "streams"])) == 0
    error_message = "parts are streams and, if wanted, models and ingest: without streams nothing has to run always."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the pool; that of the lake."
  type        = string
}

variable "resources" {
  description = <<-EOT
    What the instance has.

    - `cpu`: cores.
    - `memory_gib`: memory in all, the scratch space's included, in GiB.
    - `scratch_gib`: memory for temporary files, in GiB.
  EOT
  type = object({
    cpu         = optional(number, 1)
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

variable "secrets" {
  description = "What the streams in airbyte/ refer to and is a secret, such as a password: name of the variable => name of the secret. The worker's account must be allowed to read it."
  type        = map(string)
  default     = {}

  validation {
    condition     = !contains(keys(var.secrets), "LAVRA_CATALOG_URL")
    error_message = "secrets may not hold LAVRA_CATALOG_URL: it comes from catalog.url_secret."
  }
}

variable "service_account" {
  description = "Address of the account that the worker runs as."
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
    condition     = length(setintersection(keys(var.settings), ["LAVRA_CATALOG_URL", "LAVRA_LAKE_URL", "LAVRA_STATE_DIR", "LAVRA_WORKER_METRICS_PORT"])) == 0
    error_message = "settings may not hold what the module sets itself: LAVRA_CATALOG_URL (a secret), LAVRA_LAKE_URL, LAVRA_STATE_DIR, LAVRA_WORKER_METRICS_PORT."
  }
}

variable "sources" {
  description = "What the streams in airbyte/ refer to and is no secret, such as a host: name => value."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.sources) : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !startswith(name, "LAVRA_")])
    error_message = "sources are named as the streams refer to them, in capitals: SHOP_HOST. What starts with LAVRA_ belongs in settings."
  }
}

variable "teardown_job" {
  description = "Name of the Cloud Run job that runs `lavra stream teardown --all`: it is executed when the pool is destroyed."
  type        = string
}

variable "vpc" {
  description = "Network that leads to the catalog: output `vpc` of module network."
  type = object({
    network    = string
    subnetwork = string
  })
}
