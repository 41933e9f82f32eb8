-- Tells a version's publisher the decision of its review.
create or replace function inbox.tell_review() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    skill text := (select s.name from skills.skill s where s.id = new.skill_id);
begin
    perform inbox.notify(array[new.published_by], 'review', format('%s %s was %s', skill, new.version, new.status),
        (select string_agg(r, ' ') from jsonb_array_elements_text(
            case jsonb_typeof(new.review -> 'reasons') when 'array' then new.review -> 'reasons' else '[]' end) r),
        '/skills/' || skill, subject => 'review:' || new.id);
    return null;
end
$$;
create or replace trigger version_told after update of status on skills.version
for each row when (old.status = 'in_review' and new.status in ('approved', 'rejected'))
execute function inbox.tell_review();
