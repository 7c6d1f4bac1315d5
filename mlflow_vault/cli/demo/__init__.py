"""The demonstration: real training, plain MLflow, and a comparison of every byte.

    `models` trains -> mlflow.sklearn.log_model -> `witness` -+-> the vault
                                                              +-> MLflow's own plain files
    `rehearsal` loads all of it back and compares; `command` prints

Needs the extra ``demo``.
"""
