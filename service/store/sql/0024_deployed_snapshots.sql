-- At a deployment the mails of changed templates are compared with the snapshots that their commit holds.

-- JSON object: counts and names of the mails that differ, miss or can't be compared; NULL: nothing was compared.
ALTER TABLE deployments ADD COLUMN snapshots TEXT; -- [kept]
