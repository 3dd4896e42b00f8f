output "alerts" {
  description = "The alerts that there are: key => title."
  value       = { for key, alert in local.alerts : key => alert.title }
}
