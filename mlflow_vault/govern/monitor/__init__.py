"""The monitor: looks whether what stands in a stage is still healthy, and acts when it is not.

    watch.py        one look at everything, and what is done about it
    observing.py    fetches what each rule asks for: MLflow, Prometheus, a function
    tallies.py      what is remembered between two looks, as statements about the version
    acting.py       keeps that, rolls back (restoring.py), has people told
    report.py       what a look found
    alerts/         tells people

Rolling back comes first and waits for nobody; then people are told.  Written down in
docs/monitoring.md.
"""
