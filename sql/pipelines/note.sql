-- Notifies accounts for one of them or of their teams, as its runs and schedules do. The others are told who it is, and
-- are not told if they have blocked it.
create or replace function pipelines.note(account uuid, recipients jsonb, kind text, title text, text text, link text)
returns void
language plpgsql
as $$
begin
    perform inbox.notify(array_agg(t.id), note.kind, note.title, note.text, note.link,
        case when t.id <> note.account then note.account end)
    from (select value::uuid as id from jsonb_array_elements_text(note.recipients)) t
    where pipelines.may_notify(note.account, t.id)
    group by case when t.id <> note.account then note.account end;
end
$$;
