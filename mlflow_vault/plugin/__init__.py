"""MLflow's doors: what MLflow loads by entry point, and nothing else imports."""

# MLflow loads our entry points while it is imported itself.  Were one of our modules what
# imports it, that module would be found half made and left unregistered: so MLflow comes first.
import mlflow.store.artifact.artifact_repository_registry  # noqa: F401
