-- Ends the sessions and API keys of a claw.
create or replace function claws.sign_out(claw uuid) returns void
language sql
as $$
    select identity.end_sessions(claw);
    select identity.end_keys(claw);
$$;
