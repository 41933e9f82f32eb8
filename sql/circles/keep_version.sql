-- Versions of personas never change.
create or replace function circles.keep_version() returns trigger
language plpgsql
as $$
begin
    raise exception 'a version of a persona never changes'
        using errcode = 'check_violation', constraint = 'persona_version_kept';
end
$$;
create or replace trigger persona_version_kept before update on circles.persona_version
for each row execute function circles.keep_version();
