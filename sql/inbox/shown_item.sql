-- An item as its account sees it.
create or replace view inbox.shown_item as
select i.account_id, i.id, i.kind, i.title, i.text, i.link, i.by, i.state, i.read_at, i.archived_at, i.created_at
from inbox.item i;
grant select on inbox.shown_item to gather_inbox;
