variable "github" {
  description = <<-EOT
    The GitHub repository whose workflows may act as the account `deployer`. Null: none, and no such account.

    - `project_number`: number of the Google Cloud project.
    - `ref`: the only git reference whose workflows may.
    - `repository`: its name, shown to people.
    - `repository_id`: its number: `gh api repos/OWNER/NAME --jq .id`.
  EOT
  type = object({
    project_number = string
    ref            = optional(string, "refs/heads/main")
    repository     = string
    repository_id  = string
  })
  default = null

  validation {
    condition     = var.github == null || can(regex("^[0-9]+$", var.github.repository_id))
    error_message = "github.repository_id is the repository's number, which stays when its name changes: gh api repos/OWNER/NAME --jq .id"
  }

  validation {
    condition     = var.github == null || can(regex("^refs/(heads|tags)/[A-Za-z0-9._/-]+$", var.github.ref))
    error_message = "github.ref is one full git reference, such as refs/heads/main."
  }

  validation {
    condition     = var.github == null || can(regex("^[0-9]+$", var.github.project_number))
    error_message = "github.project_number is a number: gcloud projects describe PROJECT --format='value(projectNumber)'"
  }
}

variable "prefix" {
  description = "Start of the accounts' names."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.prefix))
    error_message = "prefix has 3 to 20 small letters, digits and dashes, and starts with a letter (an account's name has 30 at most): lavra-dev."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}
