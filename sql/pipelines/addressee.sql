-- The one whom an account asks by an id or a name: an agent, one of its own claws, or a circle (`kind`). Null if there is none.
create or replace function pipelines.addressee(account uuid, kind text, ref text) returns uuid
language sql stable
as $$
    select case addressee.kind
        when 'claw' then (
            select circles.askable(account, 'agent', c.id::text) from claws.find(account, ref, false) c)
        else circles.askable(account, addressee.kind, ref)
    end
$$;
