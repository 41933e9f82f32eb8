-- Has a job forget what a selector means, and returns the job's id. What the account does not know is refused, and so is
-- what it may only read.
create or replace function memory.ask_forget(actor uuid, everybodys boolean, selector jsonb, preview boolean) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    level text;
    target uuid;
    chosen memory.memory;
begin
    perform identity.require_active(actor);
    for target in select platform.uuid_of(i) from jsonb_array_elements_text(selector -> 'ids') i loop
        chosen := memory.seen(actor, target);
        if not memory.may_forget(actor, everybodys, chosen) then
            perform identity.refuse('memory_foreign');
        end if;
    end loop;
    if selector ? 'scope' then
        level := memory.level(actor, selector ->> 'scope', (selector ->> 'scope_id')::uuid);
        if level is null then
            perform identity.refuse('memory_scope');
        elsif level <> 'manage' or selector ->> 'scope' = 'global' and not everybodys then
            perform identity.refuse('memory_foreign');
        end if;
    elsif selector ? 'author' and not exists (
        select from identity.account a where a.id = platform.uuid_of(selector ->> 'author'))
    then
        perform identity.refuse('memory_author');
    elsif selector ? 'source' and not exists (
        select from memory.source_type t where t.type = selector #>> '{source,type}')
    then
        perform identity.refuse('memory_source');
    end if;
    return jobs.enqueue('memory-forget', jsonb_build_object('selector', selector, 'everybodys', everybodys, 'dry_run', preview), actor);
end
$$;
grant execute on function memory.ask_forget to gather_memory;
