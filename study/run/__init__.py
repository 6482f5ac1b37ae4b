"""Run: from the cells of a study to stored results: data, training, jobs, their execution and their progress."""
