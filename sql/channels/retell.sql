-- Brings an edit to the previews of an inbox, or with a null text a deletion.
create or replace function channels.retell(subject text, body text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if body is null and to_regprocedure('inbox.erase(text)') is not null then
        execute 'select inbox.erase($1)' using subject;
    elsif body is not null and to_regprocedure('inbox.revise(text,text)') is not null then
        execute 'select inbox.revise($1, $2)' using subject, body;
    end if;
end
$$;
