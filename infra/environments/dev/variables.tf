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

variable "bigquery" {
  description = "Released tables in BigQuery (module bigquery): a job exports them at `cron`, and `readers` see those of `tables`. Null: none. First apply without tables, and run the job `export`."
  type = object({
    cron    = optional(string, "40 * * * *")
    readers = optional(map(string), {})
    tables  = optional(set(string), [])
  })
  default = null
}

variable "deletion_protection" {
  description = "Whether catalog and service are protected from deletion; false is applied before `terraform destroy`."
  type        = bool
  default     = true
}

variable "domains" {
  description = "Domains of the project that are left out unless they are named here, such as aviation: LAVRA_DOMAINS."
  type        = set(string)
  default     = []
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

variable "keep_lake" {
  description = "Whether the lake's bucket outlives `terraform destroy`. False, applied before it, deletes every file."
  type        = bool
  default     = true
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "receiver" {
  description = "Lands what arrives in the bucket at once (module receiver): the `project_number`, `prefixes`, `resources`, and whether an instance is `always_on`. Null: the schedule alone."
  type = object({
    always_on      = optional(bool, false)
    prefixes       = optional(set(string), ["bronze/", "incoming/"])
    project_number = string
    resources = optional(object({
      cpu         = optional(number, 1)
      memory_gib  = optional(number, 4)
      scratch_gib = optional(number, 1)
    }), {})
  })
  default = null
}

variable "region" {
  description = "The region of everything."
  type        = string
  default     = "southamerica-east1"
}

variable "source_postgres" {
  description = "A source database of one's own in Cloud SQL, followed as AVIATION_HOST, and the aviation `generator` that writes to it; module source_postgres tells of each value. Null: none."
  type = object({
    callers  = optional(map(string), {})
    database = optional(string, "fleet")
    disk = optional(object({
      initial_gb = optional(number, 10)
      max_gb     = optional(number, 50)
    }), {})
    generator = optional(bool, true)
    rate      = optional(number, 0)
    tier      = optional(string, "db-f1-micro")
  })
  default = null
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

variable "streams" {
  description = "Follows the sources' changes with a worker that runs always (module stream_worker). Null: no streams. Turning it off drops the slots at the sources."
  type = object({
    parts = optional(set(string), ["models", "streams"])
    resources = optional(object({
      cpu         = optional(number, 1)
      memory_gib  = optional(number, 4)
      scratch_gib = optional(number, 1)
    }), {})
  })
  default = null
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
