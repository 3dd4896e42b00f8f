variable "flow_log_sampling" {
  description = "Share of the subnet's flows that are logged, from 0 to 1."
  type        = number
  default     = 0.1

  validation {
    condition     = var.flow_log_sampling >= 0 && var.flow_log_sampling <= 1
    error_message = "flow_log_sampling is a share: write a number from 0 (none) to 1 (all)."
  }
}

variable "name" {
  description = "Name of the network, and start of the names of what is in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,40}[a-z0-9]$", var.name))
    error_message = "name takes small letters, digits and dashes, starts with a letter, and has at most 42 of them: lavra-dev."
  }
}

variable "private_services_prefix_length" {
  description = "Size of the range for Cloud SQL's private addresses, as a prefix length."
  type        = number
  default     = 20

  validation {
    condition     = var.private_services_prefix_length >= 16 && var.private_services_prefix_length <= 24
    error_message = "private_services_prefix_length is from 16 (large) to 24: Cloud SQL refuses a smaller range."
  }
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the subnet, for instance southamerica-east1."
  type        = string
}

variable "subnet_cidr" {
  description = "Addresses that Cloud Run instances take. Each instance may hold two."
  type        = string
  default     = "10.20.0.0/24"

  validation {
    condition     = can(cidrhost(var.subnet_cidr, 0)) && try(tonumber(split("/", var.subnet_cidr)[1]) <= 26, false)
    error_message = "subnet_cidr is an IPv4 range of at least 64 addresses, such as 10.20.0.0/24: Cloud Run asks for /26 or larger."
  }
}
