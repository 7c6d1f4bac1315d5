"""What binds every client of a registry: which calls are guarded, who asks, and what they may."""
