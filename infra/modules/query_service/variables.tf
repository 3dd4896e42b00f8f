variable "access" {
  description = "Who may call: `iam`, those with an identity token who are in `invokers`; `network`, all that internal ingress lets in."
  type        = string
  default     = "iam"

  validation {
    condition     = contains(["iam", "network"], var.access)
    error_message = "access is iam (identity tokens of the invokers) or network (whoever reaches the internal address)."
  }

  validation {
    condition     = !(var.access == "network" && var.ingress == "all")
    error_message = "access = \"network\" with ingress = \"all\" would let anyone on the internet query the lake. Keep one of the two closed."
  }
}

variable "catalog" {
  description = "Secrets of the catalog: `url_secret` holds the service's URL, `ca_secret` the certificate of the server's authority."
  type = object({
    ca_secret  = string
    url_secret = string
  })
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service."
  type        = bool
  default     = true
}

variable "image" {
  description = "The service's image, by digest."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is named by its digest (.../service@sha256:...): what was tested is what runs, and a rollback returns to it."
  }
}

variable "ingress" {
  description = "From where the service is reached: `internal` (the project's networks), `load_balancer` (those, and a load balancer), `all` (the internet)."
  type        = string
  default     = "internal"

  validation {
    condition     = contains(["all", "internal", "load_balancer"], var.ingress)
    error_message = "ingress is internal, load_balancer or all."
  }
}

variable "invokers" {
  description = "Who may call when access is `iam`: name => member, such as serviceAccount:... or group:..."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.invokers) : can(regex("^(serviceAccount|group|user|domain|principalSet|principal):", member))])
    error_message = "invokers are members such as group:analysts@example.com. allUsers and allAuthenticatedUsers are refused: the lake is not public."
  }
}

variable "labels" {
  description = "Labels of the service."
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
  description = "Name of the Cloud Run service."
  type        = string
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the service; that of the lake."
  type        = string
}

variable "request_timeout_s" {
  description = "Longest time of a request, in seconds."
  type        = number
  default     = 300

  validation {
    condition     = var.request_timeout_s >= 1 && var.request_timeout_s <= 3600
    error_message = "request_timeout_s is from 1 to 3600: Cloud Run cuts off later."
  }
}

variable "resources" {
  description = <<-EOT
    What an instance has.

    - `cache_gib`: memory for the cached tables (half of it; larger ones are scanned where they lie), for what access rules leave of them (a fifth), and for swaps and what large queries spill, in GiB.
    - `cpu`: cores; as many queries run at once, at least two.
    - `memory_gib`: memory in all, in GiB. The queries share what the cache and the service itself (1 GiB) leave.
  EOT
  type = object({
    cache_gib  = optional(number, 1)
    cpu        = optional(number, 2)
    memory_gib = optional(number, 4)
  })
  default = {}

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.resources.cpu)
    error_message = "resources.cpu is 1, 2, 4, 6 or 8: Cloud Run knows no other sizes."
  }

  validation {
    condition     = var.resources.memory_gib >= 1 && var.resources.memory_gib <= 32
    error_message = "resources.memory_gib is from 1 to 32."
  }

  validation {
    condition     = var.resources.memory_gib - var.resources.cache_gib - 1 >= 0.25 * max(2, var.resources.cpu)
    error_message = "resources.memory_gib holds the cache, 1 GiB for the service, and at least 256 MiB for each query that runs at once (one per core, at least two). Raise it, or lower cache_gib."
  }

  validation {
    condition     = var.resources.memory_gib <= lookup({ 1 = 4, 2 = 8, 4 = 16, 6 = 24, 8 = 32 }, var.resources.cpu, 32)
    error_message = "resources.cpu is too small for this memory_gib: Cloud Run asks for 2 cores above 4 GiB, 4 above 8, 6 above 16, 8 above 24."
  }
}

variable "scaling" {
  description = <<-EOT
    How many instances run, and how many requests each takes at once.

    - `concurrency`: requests that one instance works on at once.
    - `max_instances`: upper limit; each holds the whole cache.
    - `min_instances`: kept running without requests. 0 costs nothing when idle; the first request then waits for the cache to load.
  EOT
  type = object({
    concurrency   = optional(number, 40)
    max_instances = optional(number, 4)
    min_instances = optional(number, 0)
  })
  default = {}

  validation {
    condition     = var.scaling.min_instances >= 0 && var.scaling.max_instances >= max(1, var.scaling.min_instances) && var.scaling.max_instances <= 100
    error_message = "scaling.max_instances is from 1 to 100, and no less than scaling.min_instances."
  }

  validation {
    condition     = var.scaling.concurrency >= 1 && var.scaling.concurrency <= 1000
    error_message = "scaling.concurrency is from 1 to 1000."
  }
}

variable "secrets" {
  description = "Further settings of Lavra that are secrets: LAVRA_<NAME> => name of the secret. The service's account must be allowed to read it."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^LAVRA_[A-Z_]+$", name)) && name != "LAVRA_CATALOG_URL"])
    error_message = "secrets are named LAVRA_<NAME>, as docs/settings.md lists them. LAVRA_CATALOG_URL comes from catalog.url_secret."
  }
}

variable "service_account" {
  description = "Address of the account that the service runs as."
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
    condition     = length(setintersection(keys(var.settings), ["LAVRA_CATALOG_URL", "LAVRA_LAKE_URL", "LAVRA_SERVICE_ENGINES", "LAVRA_SERVICE_HOST", "LAVRA_SERVICE_PORT", "LAVRA_SERVICE_QUERY_MEMORY_MB", "LAVRA_STATE_DIR"])) == 0
    error_message = "settings may not hold what the module sets itself: LAVRA_CATALOG_URL (a secret), LAVRA_LAKE_URL, LAVRA_SERVICE_ENGINES, _HOST, _PORT and _QUERY_MEMORY_MB (from resources), LAVRA_STATE_DIR."
  }
}

variable "startup_timeout_s" {
  description = "How long an instance may take to load its first snapshot, in seconds, before Cloud Run gives it up."
  type        = number
  default     = 240

  validation {
    condition     = var.startup_timeout_s >= 5 && var.startup_timeout_s <= 1200
    error_message = "startup_timeout_s is from 5 to 1200."
  }
}

variable "vpc" {
  description = "Network that leads to the catalog: output `vpc` of module network."
  type = object({
    network    = string
    subnetwork = string
  })
}
