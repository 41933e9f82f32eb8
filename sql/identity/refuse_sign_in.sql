-- Counts and records a failure to sign in.
create or replace function identity.refuse_sign_in(email text, client jsonb, method text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform identity.note_failure(refuse_sign_in.email, client ->> 'address');
    perform audit.record(null, 'session.refused',
        identity.holder_of(refuse_sign_in.email)::text, false, client ->> 'address', client ->> 'request_id', jsonb_build_object('method', refuse_sign_in.method));
end
$$;
grant execute on function identity.refuse_sign_in to gather_people;
