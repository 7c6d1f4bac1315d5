"""The rules, one room for each: a rule gets the whole case and says what it saw.

Every rule passes only for what it saw and found good.  What is missing, not a number, or in the
future denies; only what people or time can still add waits.
"""
