"""What makes a landing or a model due: schedules, new files, finished jobs of Airbyte."""
