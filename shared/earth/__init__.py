"""Earth Engine graphs: functions of ee objects, without requests, tasks or a clock."""
