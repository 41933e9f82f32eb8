-- What a function's role may not: hold the server. A statement ends before its request's deadline, a
-- transaction that a guest forgot ends soon after, and temporary tables are nobody's by default.
do $$
declare
    role text;
begin
    execute format('revoke temporary on database %I from public', current_database());
    foreach role in array array['gather_identity', 'gather_site', 'gather_jobs'] loop
        begin
            execute format('alter role %I set statement_timeout = ''25s''', role);
            execute format('alter role %I set idle_in_transaction_session_timeout = ''60s''', role);
        exception when internal_error then
            -- Another database of this cluster sets the same at this moment.
            raise notice 'the limits of % are being set elsewhere', role;
        end;
    end loop;
end
$$;
