"""What each call of a governing registry does for each role, tried one by one."""
