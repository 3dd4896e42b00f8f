# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "registry.terraform.io/hashicorp/google" {
  version     = "6.50.0"
  constraints = ">= 6.50.0, < 8.0.0"
  hashes = [
    "h1:KmY4LNFTeJjgVcdgp8VskQzLsNRH2Ma9QpS35nh9snU=",
  ]
}
