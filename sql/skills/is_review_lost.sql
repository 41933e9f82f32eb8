-- Whether a review's job will not finish: it was cancelled, or has used all its attempts.
create or replace function skills.is_review_lost(job uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select not exists (select from jobs.job j where j.id = is_review_lost.job and j.finished_at is null)
$$;
grant execute on function skills.is_review_lost to gather_skills;
