-- Keys that an agent had before never come back, to it or to another agent.
create or replace function identity.refuse_former_key() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from identity.former_key f where f.public_key = new.public_key) then
        raise exception 'a former key' using errcode = 'unique_violation', constraint = 'agent_public_key_key';
    end if;
    return new;
end
$$;
create or replace trigger agent_key_new before insert or update of public_key on identity.agent
for each row execute function identity.refuse_former_key();
