-- Forges are told what became of a commit; what they were told last is kept, so that nothing is lost by a restart.

ALTER TABLE deployments ADD COLUMN status_posted TEXT; -- the state that was posted last; NULL: none [kept]
-- What a forge was not told yet is looked for every few seconds.
CREATE INDEX deployments_open ON deployments (created_at, id) WHERE state <> 'ended';
