output "emails" {
  description = "Address of each part's account: part => e-mail."
  value       = local.emails
}

output "github_provider" {
  description = "The `workload_identity_provider` of google-github-actions/auth. Null without GitHub."
  value       = try(google_iam_workload_identity_pool_provider.github[0].name, null)
}
