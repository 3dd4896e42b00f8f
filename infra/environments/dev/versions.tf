terraform {
  required_version = ">= 1.11"

  # The bucket is named at init, since it differs between organisations:
  # terraform init -backend-config=bucket=BUCKET
  backend "gcs" {
    prefix = "lavra/dev"
  }

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 8.0"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}
