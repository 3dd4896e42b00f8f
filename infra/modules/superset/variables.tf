variable "access" {
  description = "Who gets to Superset's login page: `iam`, those with an identity token who are in `invokers`; `login`, whoever the ingress lets in."
  type        = string
  default     = "iam"

  validation {
    condition     = contains(["iam", "login"], var.access)
    error_message = "access is iam (identity tokens of the invokers) or login (Superset's own login is the guard)."
  }

  validation {
    condition     = !(var.access == "login" && var.ingress == "all")
    error_message = "access = \"login\" with ingress = \"all\" leaves a login page to the whole internet. Put a load balancer with Identity-Aware Proxy in front (ingress = \"load_balancer\")."
  }
}

variable "catalog" {
  description = "Secrets of the catalog: `url_secret` holds the URL of Superset's metadata database, `ca_secret` the certificate of the server's authority."
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
  description = "Superset's image, by digest."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is named by its digest (.../superset@sha256:...): what was tested is what runs, and a rollback returns to it."
  }
}

variable "ingress" {
  description = "From where Superset is reached: `internal` (the project's networks), `load_balancer` (those, and a load balancer), `all` (the internet)."
  type        = string
  default     = "internal"

  validation {
    condition     = contains(["all", "internal", "load_balancer"], var.ingress)
    error_message = "ingress is internal, load_balancer or all."
  }
}

variable "invokers" {
  description = "Who may come when access is `iam`: name => member, such as group:..."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.invokers) : can(regex("^(serviceAccount|group|user|domain|principalSet|principal):", member))])
    error_message = "invokers are members such as group:analysts@example.com. allUsers and allAuthenticatedUsers are refused."
  }
}

variable "labels" {
  description = "Labels of service, job and secrets."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "Name of the Cloud Run service, and start of the other names."
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

variable "resources" {
  description = "What an instance, and the bootstrap, has: `cpu` cores and `memory_gib` of memory, of which half a GiB may hold kept tiles."
  type = object({
    cpu        = optional(number, 1)
    memory_gib = optional(number, 2)
  })
  default = {}

  validation {
    condition     = contains([1, 2, 4], var.resources.cpu) && var.resources.memory_gib >= 2 && var.resources.memory_gib <= 4 * var.resources.cpu
    error_message = "resources.cpu is 1, 2 or 4, and resources.memory_gib from 2 to four for each core."
  }
}

variable "scaling" {
  description = "How many instances run. `min_instances` 0 costs nothing when idle; the first visitor then waits some fifteen seconds."
  type = object({
    max_instances = optional(number, 2)
    min_instances = optional(number, 0)
  })
  default = {}

  validation {
    condition     = var.scaling.min_instances >= 0 && var.scaling.max_instances >= max(1, var.scaling.min_instances) && var.scaling.max_instances <= 20
    error_message = "scaling.max_instances is from 1 to 20, and no less than scaling.min_instances."
  }
}

variable "service" {
  description = "The query service: its `url`, and `auth`: google where Cloud Run guards it, else empty."
  type = object({
    auth = optional(string, "google")
    url  = string
  })

  validation {
    condition     = contains(["", "google"], var.service.auth)
    error_message = "service.auth is google or empty, as LAVRA_SUPERSET_SERVICE_AUTH takes it."
  }
}

variable "service_account" {
  description = "Address of the account that Superset runs as."
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
}

variable "signing_secret" {
  description = "Secret with which Superset signs who asks, and by which the query service believes it. Superset's account must be allowed to read it."
  type        = string
}

variable "starters" {
  description = "Who may start the bootstrap job: name => member, such as serviceAccount:..."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.starters) : can(regex("^(serviceAccount|group|user|domain|principalSet|principal):", member))])
    error_message = "starters are members such as group:engineers@example.com. allUsers and allAuthenticatedUsers are refused."
  }
}

variable "vpc" {
  description = "Network that leads to the catalog and to the query service: output `vpc` of module network."
  type = object({
    network    = string
    subnetwork = string
  })
}
