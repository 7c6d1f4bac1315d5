"""Health: what a version must go on being like while it stands in a stage.

    rule, sample  --judge_rule-->  observation  --advance-->  tally  --reached-->  act, or not

Pure: no I/O; `govern.monitor` fetches samples and acts.  Written down in docs/monitoring.md.
"""
