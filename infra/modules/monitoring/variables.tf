variable "budget" {
  description = <<-EOT
    A monthly budget of the project, whose use is told by mail. Null: none. Who applies needs `roles/billing.costsManager` on the billing account.

    - `billing_account`: its number, as 012345-6789AB-CDEF01.
    - `currency`: that of the billing account.
    - `monthly`: amount in whole units.
  EOT
  type = object({
    billing_account = string
    currency        = optional(string, "USD")
    monthly         = number
  })
  default = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "budget.billing_account is its number: gcloud billing accounts list"
  }

  validation {
    condition     = var.budget == null || try(var.budget.monthly >= 1 && floor(var.budget.monthly) == var.budget.monthly, false)
    error_message = "budget.monthly is a whole amount of at least 1."
  }
}

variable "catalog_instance" {
  description = "The catalog's instance: output `instance` of module catalog. Null: not watched."
  type        = string
  default     = null
}

variable "emails" {
  description = "Who is told: mail addresses."
  type        = set(string)

  validation {
    condition     = length(var.emails) > 0 && alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "emails has at least one mail address: an alert that nobody hears is none."
  }
}

variable "jobs" {
  description = "The Cloud Run jobs whose failures are told."
  type        = set(string)
  default     = []
}

variable "labels" {
  description = "Labels of the alert policies."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "Start of the alerts' titles."
  type        = string
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "service" {
  description = "The query service's name. Null: not watched."
  type        = string
  default     = null
}

variable "streams" {
  description = <<-EOT
    The streams that are watched. Null: none.

    - `pool`: the worker pool's name, output `pool` of module stream_worker.
    - `source`: a followed Cloud SQL source: its `instance`, what a slot may keep of the log before it is given up (`slot_keeps_mb`), and what log it has anyway (`usual_log_mb`).
  EOT
  type = object({
    pool = string
    source = optional(object({
      instance      = string
      slot_keeps_mb = number
      usual_log_mb  = optional(number, 1536)
    }))
  })
  default = null
}

variable "thresholds" {
  description = <<-EOT
    When the service is told of.

    - `errors_per_second`: answers with a status of 500 or more, over five minutes.
    - `latency_p95_ms`: 19 of 20 requests are quicker than this.
  EOT
  type = object({
    errors_per_second = optional(number, 0.1)
    latency_p95_ms    = optional(number, 5000)
  })
  default = {}

  validation {
    condition     = var.thresholds.errors_per_second >= 0 && var.thresholds.latency_p95_ms > 0
    error_message = "thresholds are positive: errors_per_second may be 0 (tell of each), latency_p95_ms not."
  }
}
