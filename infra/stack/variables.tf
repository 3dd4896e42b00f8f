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

variable "catalog" {
  description = "The catalog's database; module catalog tells of each value."
  type = object({
    backup = optional(object({
      recovery_days = optional(number, 7)
      retained      = optional(number, 14)
      start_time    = optional(string, "05:00")
    }), {})
    disk = optional(object({
      initial_gb = optional(number, 10)
      max_gb     = optional(number, 100)
    }), {})
    high_availability = optional(bool, false)
    tier              = optional(string, "db-g1-small")
  })
  default = {}
}

variable "deletion_protection" {
  description = "Whether catalog and service are protected from deletion; set it to false, and apply, before `terraform destroy`."
  type        = bool
  default     = true
}

variable "domains" {
  description = "Domains of the project that are left out unless they are named here, such as aviation: LAVRA_DOMAINS."
  type        = set(string)
  default     = []
}

variable "events" {
  description = "Whether what lands starts a job at once: the `job` of `jobs`, the `prefix` of what lands, and the `project_number`; module events tells of each. Null: the schedule alone."
  type = object({
    job            = optional(string, "run-models")
    prefix         = optional(string, "bronze/")
    project_number = string
  })
  default = null
}

variable "github" {
  description = "The GitHub repository whose workflows push images and start jobs; module identity tells of each value."
  type = object({
    project_number = string
    ref            = optional(string, "refs/heads/main")
    repository     = string
    repository_id  = string
  })
  default = null
}

variable "images" {
  description = "Images of the parts, by digest. A part without one is not there."
  type = object({
    job      = optional(string)
    service  = optional(string)
    superset = optional(string)
  })
  default = {}

  validation {
    condition     = var.images.superset == null || var.images.service != null
    error_message = "images.superset asks the query service: name images.service too."
  }
}

variable "jobs" {
  description = <<-EOT
    What the worker does: name => job. `cron` null: only by hand or by a workflow.

    - `deployer_may_start`: whether GitHub's workflows may start it.
    - `reads_sources`: whether it gets what `sources` holds.
  EOT
  type = map(object({
    command            = list(string)
    cron               = optional(string)
    deployer_may_start = optional(bool, false)
    max_retries        = optional(number, 1)
    paused             = optional(bool, false)
    reads_sources      = optional(bool, false)
    resources = optional(object({
      cpu         = optional(number, 2)
      memory_gib  = optional(number, 4)
      scratch_gib = optional(number, 1)
    }), {})
    timeout_s = optional(number, 3600)
  }))
  default = {
    # Brings models to the project's state, and releases.
    apply-models = {
      command            = ["sqlmesh", "-p", "sqlmesh_project", "plan", "--auto-apply", "--no-prompts"]
      deployer_may_start = true
      max_retries        = 0
    }
    land = {
      command       = ["lavra", "ingest", "run", "--all"]
      cron          = "5 * * * *"
      reads_sources = true
    }
    # Brings SQLMesh's state to the version of the image, before models are planned with it.
    migrate = {
      command            = ["sqlmesh", "-p", "sqlmesh_project", "migrate"]
      deployer_may_start = true
      max_retries        = 0
    }
    # Computes the intervals that are due, and releases.
    run-models = {
      command = ["sqlmesh", "-p", "sqlmesh_project", "run"]
      cron    = "20 * * * *"
    }
  }
}

variable "kms_key" {
  description = "Cloud KMS key for the lake, the catalog and the images. Null: Google's own keys."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of all that takes labels; `lake` is added."
  type        = map(string)
  default     = {}
}

variable "lake" {
  description = "The lake's bucket; module lake tells of each value. `bucket` null: <project>-<name>-lake."
  type = object({
    bronze_nearline_after_days = optional(number)
    bucket                     = optional(string)
    force_destroy              = optional(bool, false)
    recovery_days              = optional(number, 7)
  })
  default = {}

  validation {
    condition     = var.lake.recovery_days >= var.catalog.backup.recovery_days
    error_message = "lake.recovery_days is no less than catalog.backup.recovery_days: a catalog restored further back would name files that are gone."
  }
}

variable "name" {
  description = "Name of this lake in this environment, and start of all names: lavra-dev."
  type        = string
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
  description = "The region of everything, such as southamerica-east1."
  type        = string
}

variable "service" {
  description = "The query service; module query_service tells of each value."
  type = object({
    access   = optional(string, "iam")
    ingress  = optional(string, "internal")
    invokers = optional(map(string), {})
    resources = optional(object({
      cache_gib  = optional(number, 1)
      cpu        = optional(number, 2)
      memory_gib = optional(number, 4)
    }), {})
    scaling = optional(object({
      concurrency   = optional(number, 40)
      max_instances = optional(number, 4)
      min_instances = optional(number, 0)
    }), {})
  })
  default = {}
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
  description = "Superset; module superset tells of each value."
  type = object({
    access   = optional(string, "iam")
    ingress  = optional(string, "internal")
    invokers = optional(map(string), {})
    resources = optional(object({
      cpu        = optional(number, 1)
      memory_gib = optional(number, 2)
    }), {})
    scaling = optional(object({
      max_instances = optional(number, 2)
      min_instances = optional(number, 0)
    }), {})
    settings = optional(map(string), {})
  })
  default = {}
}

variable "time_zone" {
  description = "The lake's business time zone, in which the jobs' schedules are written."
  type        = string
  default     = "Etc/UTC"
}
