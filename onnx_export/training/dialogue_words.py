"""The words of the dialogue sentences: for every slot its words, `a | b` on one line being two of them."""


def slots(text: str) -> dict[str, tuple[str, ...]]:
    """`[slot]` lines and the phrases under each; `a | b` on one line are two phrases, `~` is an empty one."""
    slots: dict[str, list[str]] = {}
    name = ""
    for line in text.strip().splitlines():
        if line.startswith("["):
            name = line.strip("[]")
            slots[name] = []
        else:
            slots[name] += [phrase.strip(" ~") for phrase in line.split("|")]
    return {name: tuple(phrases) for name, phrases in slots.items()}


WORDS = slots("""
[verb]
add | answer | bake | book | borrow | break | bring | build | buy | call | cancel | carry | catch | change | charge
check | choose | clean | close | collect | compare | confirm | cook | copy | cover | cut | delete | deliver
describe | download | draw | drive | drop | eat | enjoy | enter | explain | feed | fill | find | finish | fix
follow | forget | get | give | hear | help | hide | hold | install | invite | join | keep | kick | know | learn
leave | lift | like | list | lock | lose | love | make | measure | meet | miss | mix | move | need | offer | open
order | paint | park | pass | play | press | print | protect | pull | push | put away | reach | read | receive
record | remember | remove | renew | rent | repair | repeat | replace | reset | return | ride | save | schedule
see | sell | send | share | show | sign | skip | sort | start | stop | store | study | take | taste | teach | tell
test | throw away | touch | track | translate | try | type | understand | unlock | update | upgrade | use | visit
warm up | wash | watch | water | wear | win | wipe | wrap | write
[past]
added | answered | baked | booked | bought | broke | brought | built | called | cancelled | carried | caught
changed | checked | chose | cleaned | closed | cooked | dropped | drove | enjoyed | explained | finished | fixed
followed | forgot | found | gave me | helped | heard | invited | joined | kept | knew | left | liked | lost | loved
made | met | missed | moved | needed | opened | ordered | painted | passed | picked | planned | played | printed
pulled | pushed | read | recorded | removed | rented | returned | saved | saw | sent | shared | showed me | signed
sold | started | stopped | studied | thanked | threw away | tried | turned down | understood | used | visited
walked past | wanted | washed | watched | won | wrote
[done]
added | answered | booked | bought | broken | brought | built | called | cancelled | changed | checked | chosen
cleaned | closed | confirmed | deleted | delivered | done | downloaded | driven | eaten | finished | fixed
forgotten | found | given away | hidden | installed | kept | left | lost | made | moved | muted | opened | ordered
packed | paid for | planned | printed | read | received | removed | renewed | repaired | replaced | returned | saved
scheduled | seen | sent | shared | shipped | sold | sorted | started | stopped | taken | tested | thrown away
tried | turned on | unlocked | updated | used | washed | watched | written
[ving]
adding | answering | baking | booking | bringing | building | buying | calling | changing | checking | cleaning
closing | cooking | drawing | driving | enjoying | fixing | following | helping | keeping | learning | leaving
loading | making | moving | opening | ordering | painting | paying for | planning | playing | printing | reading
recording | repairing | saving | searching | selling | sending | sharing | showing | singing | starting | stopping
studying | taking | teaching | testing | trying | typing | updating | using | visiting | walking through | washing
watching | wearing | writing
[n1]
account | address | adapter | airport | alarm | album | ambulance | answer | apartment | apple | appointment
article | assistant | audience | avenue | backpack | bakery | balcony | ball | bank | basement | basket | bath
battery | beach | bed | bell | bench | bicycle | bill | bird | birthday | blanket | blender | boat | book | bottle
bowl | box | branch | bread | breakfast | bridge | brother | brush | budget | building | bus | business | butter
button | cabin | cable | cake | calendar | camera | candle | car | card | carpet | castle | ceiling | cellar
ceremony | chair | change | charger | check | chest | chicken | choice | church | circle | class | clinic | clock
closet | cloud | coat | code | coffee | coin | color | comment | company | computer | concert | contract
conversation | cookie | corner | couch | country | coupon | course | cousin | credit card | crowd | cup | curtain
customer | dance | deadline | decision | delivery | dentist | deposit | desk | dessert | diagram | dictionary
dinner | discount | dish | distance | doctor | document | dog | door | drawer | dream | dress | drill | driver | ear
earth | edge | egg | election | elevator | email | engine | entrance | envelope | error | evening | event | exam
example | exercise | exit | experience | explanation | eye | fabric | face | factory | family | fan | farm | faucet
feature | fee | fence | festival | fever | file | film | fire | fish | flag | flashlight | flight | floor | flower
folder | food | forecast | forest | fork | form | fountain | fridge | friend | fruit | funeral | furniture | game
garage | garden | gate | gift | glass | glove | goal | grass | group | guard | guest | guide | guitar | habit | hair
hall | hammer | hand | handle | harbor | hat | head | headline | heart | heater | helmet | highway | hill | history
holiday | hook | horse | hospital | hotel | house | idea | image | insurance | interview | invitation | invoice
island | jacket | jar | job | joke | journey | judge | juice | key | keyboard | kitchen | knee | knife | ladder
lake | lamp | language | laptop | laundry | law | lawyer | leaf | lecture | leg | lemon | lesson | letter | level
library | license | light | limit | line | link | lion | list | living room | loan | lock | lunch | machine
magazine | mailbox | manager | map | market | match | meal | medicine | meeting | melody | member | menu | message
meter | microphone | middle | milk | mirror | mistake | moment | money | monitor | moon | morning | mountain | mouse
mouth | movie | museum | music | nail | name | napkin | neighbor | nest | network | newspaper | night | noise | nose
note | notebook | number | nurse | ocean | offer | office | oil | onion | opinion | option | orange | order | oven
owner | package | page | pain | painting | pair | pan | paper | parade | park | party | passenger | passport
password | path | patient | payment | pen | pencil | phone | photo | piano | picture | piece | pillow | pilot | pipe
pizza | plan | planet | plate | platform | playground | pocket | poem | point | pool | porch | port | potato
prescription | present | price | printer | prize | problem | product | program | project | promise | puzzle
question | queue | quiz | quote | rabbit | radio | rain | rating | receipt | recipe | record | refund | region
reminder | rent | report | request | reservation | restaurant | result | review | reward | rice | ring | river
road | robot | rocket | roof | room | rope | route | rule | salad | sale | salt | sandwich | sauce | scarf
schedule | school | science | score | screen | seat | secret | server | service | shadow | shape | shelf | ship
shirt | shoe | shop | shoulder | shower | signal | sink | sister | size | skill | skirt | sky | smile | snow | soap
sofa | song | sound | soup | space | speech | speaker | spoon | sport | spring | stage | stair | stamp | star
station | statue | step | stomach | stone | storm | story | stove | stranger | street | string | student
subscription | suitcase | summary | sun | supper | surprise | sweater | switch | table | target | task | taxi | tea
teacher | team | telephone | test | theater | thing | thought | ticket | tiger | timer | tire | title | toast
tomato | tool | tooth | topic | towel | tower | town | toy | track | train | trash | treatment | tree | trial | trip
truck | tunnel | umbrella | uncle | uniform | university | upgrade | vacation | valley | vegetable | vehicle
version | video | view | village | visit | voice | volume | waiter | wall | wallet | warranty | watch | water
weather | website | wedding | week | wheel | wife | wind | window | wine | winner | winter | wire | word | work
world | yard | year | zoo
[n2]
kitchen | office | school | garden | summer | winter | family | city | morning | coffee | paper | glass | leather
music | history | science | travel | credit | phone | email | web | safety | health | birthday | sports | team
evening | weather | traffic | bathroom | bedroom | emergency | customer | train | bus | guest | test | water
energy | chocolate | orange | apple | chicken | silver | cotton | wooden | plastic | metal | video | voice
[ns]
accounts | actors | animals | answers | apples | bags | bananas | beans | bees | bills | birds | blueberries | books
boots | boxes | bridges | brushes | buses | cameras | candles | cards | carrots | cars | cats | chairs | cherries
children | churches | clothes | coins | computers | cookies | cows | cups | customers | days | dishes | dogs | doors
ears | eggs | emails | errors | events | eyes | feet | files | flights | flowers | forks | friends | games | gifts
glasses | gloves | grapes | guests | hands | hats | hours | houses | ideas | inches | jeans | jobs | keys | kids
kings | knives | lamps | languages | leaves | lemons | letters | lights | lions | lists | machines | maps | matches
meals | members | men | messages | minutes | mistakes | months | mountains | mushrooms | names | neighbors | noodles
notes | numbers | nurses | nuts | offers | olives | onions | options | oranges | orders | packages | pages
pancakes | parents | parts | passengers | peaches | pears | pencils | people | peppers | phones | photos | pictures
planes | plans | plants | plates | players | potatoes | prices | problems | programs | projects | questions | quotes
rabbits | reasons | recipes | reports | results | reviews | roads | rooms | roses | rules | sandwiches | schools
seats | secrets | sheep | sheets | shelves | ships | shirts | shoes | shops | signs | singers | snacks | socks
songs | sounds | spoons | stairs | stamps | stars | stories | strawberries | streets | students | tables | tasks
teachers | teeth | tests | texts | things | thoughts | tickets | tools | towels | toys | trains | trees | trips
trucks | vegetables | videos | visitors | vitamins | voices | walls | watches | weeks | wheels | windows | women
words | years
[adj]
able | afraid | amazing | angry | available | awful | bad | beautiful | best | better | big | bitter | black | blue
boring | brave | brief | bright | broken | brown | busy | calm | careful | cheap | clean | clear | clever | closed
cloudy | cold | colorful | comfortable | common | complete | cool | correct | crowded | cruel | curious | daily
dangerous | dark | deep | delicious | different | difficult | digital | dirty | double | dry | early | easy
electric | empty | entire | exact | excellent | exciting | expensive | extra | fair | false | familiar | famous
fast | favorite | final | fine | fluffy | foggy | foreign | free | fresh | friendly | front | frozen | full | funny
gentle | giant | golden | good | grateful | gray | great | green | happy | hard | healthy | heavy | helpful | high
honest | hot | huge | hungry | important | impossible | interesting | international | jealous | kind | large | last
late | lazy | left | light | little | local | lonely | long | loose | loud | lovely | low | lucky | magic | main
medical | mild | missing | modern | narrow | national | natural | nearby | necessary | nervous | new | next | nice
noisy | normal | official | old | online | only | open | orange | original | outdoor | perfect | personal | pink
plain | pleasant | poor | popular | possible | powerful | pretty | previous | private | proud | public | pure
purple | quick | quiet | rainy | rare | ready | real | recent | red | regular | rich | right | rotten | rough
round | sad | safe | salty | same | secret | serious | shallow | sharp | short | shy | sick | silent | silly
similar | simple | single | slow | small | smart | smooth | soft | sore | special | spicy | strange | strict
strong | sunny | sure | surprising | sweet | tall | tasty | terrible | thick | thin | tight | tiny | tired | true
typical | ugly | unusual | urgent | useful | usual | valid | valuable | vegan | violet | warm | weak | weird | wet
white | wide | wild | windy | wise | wonderful | wrong | yellow | young
[kin]
mother | father | brother | sister | son | daughter | uncle | aunt | cousin | wife | husband | grandmother
grandfather | neighbor | boss | friend | roommate | nephew | niece
[job]
doctor | nurse | teacher | driver | manager | engineer | lawyer | waiter | pilot | farmer | plumber | electrician
dentist | chef | baker | artist | singer | writer | judge | officer | guard | student | professor | mechanic
librarian | cashier | tailor | architect | accountant | agent
[site]
airport | bakery | bank | beach | bookstore | bridge | cafe | church | cinema | clinic | corner | elevator | factory
fountain | garage | garden | gas station | gym | hall | harbor | hospital | hotel | island | kitchen | lake
library | lobby | mall | market | museum | office | park | parking lot | pharmacy | police station | pool
post office | restaurant | river | school | square | stadium | station | supermarket | terminal | theater
town hall | university | village | zoo
[city]
Boston | Chicago | Denver | Seattle | Austin | Portland | London | Paris | Berlin | Madrid | Toronto | Dublin
Houston | Phoenix | Atlanta | Dallas | Detroit | Vienna | Rome | Sydney | Miami | Philadelphia | San Francisco
Los Angeles | New York | Baltimore | Memphis | Nashville | Cleveland | Orlando | Oakland | Tucson | Omaha | Honolulu
Montreal | Vancouver | Tokyo | Moscow | Cairo | Athens | Lisbon | Oslo | Stockholm | Brussels | Geneva | Munich
Hamburg | Milan | Naples | Venice | Barcelona | Edinburgh | Manchester | Liverpool | Melbourne | Singapore | Bangkok
Mumbai | Delhi | Istanbul | Jerusalem | Nairobi | Lima | Havana | Salt Lake City | Santa Barbara | Washington
Jackson | Springfield | Lexington | Richmond | Charlotte | Kansas City
[country]
Canada | Mexico | Brazil | France | Germany | Italy | Spain | Portugal | Greece | Turkey | Egypt | India | China
Japan | Korea | Russia | Poland | Sweden | Norway | Denmark | Ireland | Scotland | Texas | California | Florida
Ohio | Virginia | Oregon | Colorado | Michigan | Georgia | Arizona | Kenya | Chile | Peru | Cuba | Israel | Austria
Hungary | Switzerland
[first]
Emma | Liam | Olivia | Noah | Sophia | Jacob | Maria | David | Laura | Peter | Anna | Thomas | Julia | Daniel
Sarah | Kevin | Linda | Robert | Alice | Henry | Grace | Oscar | Nina | Victor | Helen | George | Rachel | Martin
Diana | Simon | Karen | Frank | Megan | Carlos | Janet | Steven | Andrew | Barbara | Benjamin | Brian | Catherine
Charles | Christine | Dennis | Dorothy | Edward | Elizabeth | Eric | Gloria | Gregory | Hannah | Isabella | Jack
James | Jason | Jennifer | Joe | John | Jordan | Joseph | Justin | Kimberly | Larry | Lisa | Luke | Margaret | Mark
Matthew | Melissa | Mia | Nancy | Nathan | Nicole | Pamela | Paul | Philip | Rebecca | Richard | Ryan | Sandra
Scott | Sharon | Stephanie | Susan | Timothy | Tyler | Vanessa | Walter | William | Zoe
[last]
Miller | Johnson | Garcia | Brown | Davis | Wilson | Clark | Lewis | Walker | Young | Allen | King | Wright | Scott
Hill | Green | Adams | Baker | Nelson | Carter | Mitchell | Turner | Phillips | Campbell | Parker | Evans | Edwards
Collins | Stewart | Morris | Murphy | Cook | Rogers | Smith | Jones | Taylor | Anderson | Jackson | White | Martinez
Robinson | Rodriguez | Lee | Hall | Hernandez | Lopez | Gonzalez | Perez | Roberts | Sanchez | Reed | Bailey | Bell
Cooper | Richardson | Cox | Howard | Ward | Peterson | Gray | Ramirez | Watson | Brooks | Kelly | Sanders | Price
Bennett | Wood | Barnes | Ross | Henderson | Coleman | Jenkins | Perry | Powell | Long | Patterson | Hughes | Flores
Butler | Simmons | Foster | Bryant | Alexander | Russell | Griffin | Hayes
[title]
Mr. | Mrs. | Dr. | Ms. | Professor | Captain
[street_name]
Main | Oak | Maple | Cedar | Park | Lake | Hill | Church | River | Spring | Union | Market | Station | Garden
Bridge | Mill | Pine | Walnut | Chestnut | Highland | Jefferson | Madison | Jackson | Sunset | Victoria | Broadway
Prospect | Meadow | Forest | Liberty | Franklin | College | Valley | Ridge | Monroe | Adams | Second | Third | Sixth
42nd | 8th | 12th
[street_kind]
Street | Street | Avenue | Road | Lane | Drive | Boulevard | Court | Place | Square
[day]
Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday
[month]
January | February | March | April | May | June | July | August | September | October | November | December
[unit]
minutes | hours | days | weeks | months | years | seconds | miles | kilometers | meters | feet | pounds | grams
degrees | dollars | cups | liters | inches
""")
