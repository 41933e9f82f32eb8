-- Keeps what a persona is found by, whenever it gets a version.
create or replace function circles.describe_persona() returns trigger
language plpgsql
as $$
begin
    update circles.persona p set words = lower(coalesce(new.definition ->> 'description', '')) where p.id = new.persona_id;
    return null;
end
$$;
create or replace trigger persona_described after insert on circles.persona_version
for each row execute function circles.describe_persona();
