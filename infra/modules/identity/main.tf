# Each part runs as an account of its own. This module gives no roles on the project: the module
# of each resource grants what it is asked to, on that resource alone.
resource "google_service_account" "parts" {
  for_each = local.parts

  project      = var.project_id
  account_id   = "${var.prefix}-${each.key}"
  description  = each.value
  display_name = "Lavra ${each.key} (${var.prefix})"
}

locals {
  parts = merge(
    {
      scheduler = "Starts the lake's jobs at their times."
      service   = "Runs the query service: reads the lake and the catalog."
      superset  = "Runs Superset: reads its own metadata database, asks the query service."
      worker    = "Runs the lake's jobs: lands, models and releases."
    },
    var.github == null ? {} : { deployer = "GitHub Actions of ${var.github.repository}: pushes images, starts jobs." },
  )

  # The address is spelled out, and not read from the resource, because it is then known when
  # planning: what is granted to whom shows in the plan.
  emails = {
    for part, account in google_service_account.parts :
    part => "${account.account_id}@${var.project_id}.iam.gserviceaccount.com"
  }
}
