-- Has the meaning of posts go with them.
create or replace function social.forget_meaning() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform search.forget('post', array(select g.id from gone g));
    return null;
end
$$;
create or replace trigger post_gone
after delete on social.post referencing old table as gone
for each statement execute function social.forget_meaning();
