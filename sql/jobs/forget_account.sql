-- Deletes the finished jobs of an account that leaves. Unfinished ones continue as the platform's own, since others may
-- wait for them, as for the review of a skill.
create or replace function jobs.forget_account(account uuid) returns void
language sql
as $$
    delete from jobs.job j where j.owner_id = account and j.finished_at is not null;
    update jobs.job j set owner_id = null, key = null where j.owner_id = account;
$$;
