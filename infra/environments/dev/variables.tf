variable "airbyte" {
  description = "A real Airbyte that lands in the lake; module ingestion tells of each value. Null: Lavra lands by itself."
  type = object({
    client_id    = string
    url          = optional(string, "https://api.airbyte.com/v1")
    workspace_id = string
  })
  default = null
}

variable "alerts" {
  description = "Who is told when something fails (`emails`), and the project's monthly `budget`; module monitoring tells of each value. Null: nobody is told."
  type = object({
    budget = optional(object({
      billing_account = string
      currency        = optional(string, "USD")
      monthly         = number
    }))
    emails = set(string)
  })
  default = null
}

variable "deletion_protection" {
  description = "Whether catalog and service are protected from deletion; false is applied before `terraform destroy`."
  type        = bool
  default     = true
}

variable "events" {
  description = "Whether what lands starts the models at once (module events): the `project_number`. Null: the schedule alone."
  type = object({
    job            = optional(string, "run-models")
    prefix         = optional(string, "bronze/")
    project_number = string
  })
  default = null
}

variable "github" {
  description = "The GitHub repository whose workflows push images and start jobs (module identity). Null: none."
  type = object({
    project_number = string
    ref            = optional(string, "refs/heads/main")
    repository     = string
    repository_id  = string
  })
  default = null
}

variable "images" {
  description = "Images of the parts, by digest. Empty at the first apply: the registry must stand before they can be pushed."
  type = object({
    job      = optional(string)
    service  = optional(string)
    superset = optional(string)
  })
  default = {}
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "The region of everything."
  type        = string
  default     = "southamerica-east1"
}

variable "sources" {
  description = <<-EOT
    What the connections in airbyte/ refer to as $${NAME}.

    - `environment`: what is no secret, such as a host: name => value.
    - `secrets`: what is: name => name of a secret in Secret Manager, made beforehand; the worker is let in.
  EOT
  type = object({
    environment = optional(map(string), {})
    secrets     = optional(map(string), {})
  })
  default = {}
}

variable "superset" {
  description = "Who reaches Superset (module superset): `access`, `ingress`, `invokers`."
  type = object({
    access   = optional(string, "iam")
    ingress  = optional(string, "internal")
    invokers = optional(map(string), {})
  })
  default = {}
}

variable "time_zone" {
  description = "The lake's business time zone, as in lavra.toml: schedules are written in it."
  type        = string
  default     = "America/Sao_Paulo"
}
