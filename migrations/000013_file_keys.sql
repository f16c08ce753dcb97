-- What the CID set file of a run is encrypted with while it stands on a disk (ADR 0032): made for the run, gone with its end.
ALTER TABLE dict_reconciliations ADD COLUMN file_key bytea CHECK (octet_length(file_key) = 32);
ALTER TABLE dict_reconciliations ADD CHECK (file_key IS NULL OR ended_at IS NULL);
