#!/usr/bin/env python3
"""Print the gcloud commands that let GitHub's workflows run Terraform on a project.

Terraform cannot make the accounts that it runs as, so an owner of the project runs this once:

    infra/bin/github_terraform.py PROJECT PROJECT_NUMBER REPOSITORY_ID STATE_BUCKET | bash

``planner`` reads, for any branch of the repository; ``applier`` changes, for main alone, and what
it may is listed role by role: none is a basic role.
"""

from __future__ import annotations

import argparse
import shlex

APPLIER = {
    "artifactregistry.admin": ["google_artifact_registry_repository"],
    "bigquery.dataOwner": ["google_bigquery_dataset", "google_bigquery_table"],
    "cloudscheduler.admin": ["google_cloud_scheduler_job"],
    "cloudsql.admin": ["google_sql_database", "google_sql_database_instance"],
    "compute.networkAdmin": [
        "google_compute_global_address", "google_compute_network", "google_compute_subnetwork",
        "google_service_networking_connection",
    ],
    "compute.securityAdmin": ["google_compute_firewall"],
    "eventarc.admin": ["google_eventarc_trigger"],
    "iam.serviceAccountAdmin": ["google_service_account"],
    "iam.serviceAccountUser": [],  # to let services, jobs and schedules run as the accounts
    "iam.workloadIdentityPoolAdmin": ["google_iam_workload_identity_pool"],
    "monitoring.editor": [
        "google_monitoring_alert_policy", "google_monitoring_notification_channel",
    ],
    "pubsub.admin": ["google_pubsub_subscription", "google_pubsub_topic"],
    "resourcemanager.projectIamAdmin": [],  # workflows.invoker is granted on the project only
    "run.admin": [
        "google_cloud_run_v2_job", "google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool",
    ],
    "secretmanager.admin": ["google_secret_manager_secret"],
    "serviceusage.serviceUsageAdmin": ["google_project_service"],
    "storage.admin": ["google_storage_bucket", "google_storage_notification"],
    "workflows.admin": ["google_workflows_workflow"],
}  # fmt: skip
"""Role of the applier on the project => the resources that it is for."""

PLANNER = (
    "artifactregistry.reader", "bigquery.metadataViewer", "cloudscheduler.viewer",
    "cloudsql.viewer", "compute.networkViewer", "iam.securityReviewer",
    "iam.workloadIdentityPoolViewer", "monitoring.viewer", "run.viewer", "secretmanager.viewer",
    "serviceusage.serviceUsageConsumer",
)  # fmt: skip
"""Roles of the planner on the project: it sees what is there, and no data and no secret."""

POOL = "lavra-terraform"
MAPPING = (
    "google.subject=assertion.sub,attribute.ref=assertion.ref,"
    "attribute.repository_id=assertion.repository_id"
)
ISSUER = "https://token.actions.githubusercontent.com"


def commands(project: str, number: str, repository: str, bucket: str) -> list[list[str]]:
    """Return the commands, as lists of words."""
    at = [f"--project={project}"]
    pool = ["--location=global", *at]
    members = f"principalSet://iam.googleapis.com/projects/{number}/locations/global"
    members += f"/workloadIdentityPools/{POOL}"
    made: list[list[str]] = [
        ["iam", "workload-identity-pools", "create", POOL, *pool],
        [
            "iam", "workload-identity-pools", "providers", "create-oidc", "github", *pool,
            f"--workload-identity-pool={POOL}", f"--issuer-uri={ISSUER}",
            f"--attribute-condition=assertion.repository_id == '{repository}'",
            f"--attribute-mapping={MAPPING}",
        ],
    ]  # fmt: skip
    # Only main may change things; the pool's condition has shut out all other repositories.
    for account, who, roles in (
        ("applier", "attribute.ref/refs/heads/main", tuple(APPLIER)),
        ("planner", f"attribute.repository_id/{repository}", PLANNER),
    ):
        address = f"lavra-{account}@{project}.iam.gserviceaccount.com"
        member = f"--member=serviceAccount:{address}"
        made.append(["iam", "service-accounts", "create", f"lavra-{account}", *at])
        made.append([
            "iam", "service-accounts", "add-iam-policy-binding", address, *at,
            "--role=roles/iam.workloadIdentityUser", f"--member={members}/{who}",
        ])  # fmt: skip
        made += [
            ["projects", "add-iam-policy-binding", project, member, f"--role=roles/{role}",
             "--condition=None"]
            for role in roles
        ]  # fmt: skip
        state = "objectUser" if account == "applier" else "objectViewer"
        made.append([
            "storage", "buckets", "add-iam-policy-binding", f"gs://{bucket}", member,
            f"--role=roles/storage.{state}",
        ])  # fmt: skip
    return made


def main() -> None:
    """Print the commands as a script that stops at the first failure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("project")
    parser.add_argument("project_number")
    parser.add_argument("repository_id", help="gh api repos/OWNER/NAME --jq .id")
    parser.add_argument("state_bucket")
    given = parser.parse_args()
    lines = commands(given.project, given.project_number, given.repository_id, given.state_bucket)
    print("set -euo pipefail")
    for words in lines:
        print(shlex.join(["gcloud", *words]))


if __name__ == "__main__":
    main()
