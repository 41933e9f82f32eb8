-- Brings an edit to the previews of an inbox, or with a null text a deletion.
create or replace function channels.retell(subject text, body text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if body is null then
        perform inbox.erase(subject);
    else
        perform inbox.revise(subject, body);
    end if;
end
$$;
