-- The accounts that have blocked or muted the account whose words or actions an event shows. Null if there are none.
create or replace function events.shunned_by(e events.event) returns uuid[]
language sql stable
as $$
    select social.shunned_by(events.told_of(e.data))
$$;
