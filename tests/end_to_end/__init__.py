"""The platform as people use it: real daemons, real servers, job files in and results out, also after a kill."""
